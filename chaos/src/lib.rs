//! Breaks a running Holdfast at random, and checks what its clients saw.
