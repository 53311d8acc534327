//! Logs, traces, metrics, and how trace context travels.
