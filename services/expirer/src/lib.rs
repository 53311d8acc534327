//! Carries verdicts on holds that fall due from reservation to catalog.
