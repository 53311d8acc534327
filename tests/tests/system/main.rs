//! The whole system, driven through real clients against real servers: PostgreSQL, RabbitMQ and the three services.
//!
//! Needs the services built (`cargo build --workspace --all-targets --features failpoints`). Tests that break nothing share one stack; those that do
//! start one each. `HOLDFAST_KEEP=1` keeps the logs.

/// Requests that differ from a good one in one thing: `field: |request| change`, each with the field that it breaks.
macro_rules! cases {
    ($good:expr; $($field:literal: |$request:ident| $change:expr),+ $(,)?) => {
        vec![$(($field, { let mut $request = $good.clone(); $change; $request })),+]
    };
}

mod admin_products;
mod admin_seats;
mod audit;
mod audit_damage;
mod auth_bookings;
mod auth_keys;
mod auth_strangers;
mod auth_tokens;
mod auth_walk;
mod bad_input_bookings;
mod bad_input_catalog;
mod cluster;
mod coming_from_django;
mod commands;
mod compat;
mod damaged_rows;
mod damaged_times;
mod discovery;
mod events;
mod expiry;
mod extensions;
mod failpoints;
mod faults_broker;
mod faults_database;
mod faults_services;
mod frozen_database;
mod fuzz;
mod health;
mod holds;
mod hostile;
mod impatience;
mod late_payments;
mod limits;
mod logs;
mod metrics;
mod overload;
mod paging;
mod parked_promises;
mod payments;
mod plans;
mod poison;
mod races;
mod races_with_time;
mod refused_holds;
mod repeats;
mod repeats_of_ids;
mod rest;
mod rest_catalog;
mod rest_clients;
mod rest_errors;
mod rest_limits;
mod rest_once;
mod rest_pages;
mod rest_rules;
mod rest_web;
mod restore;
mod restore_odds;
mod roles;
mod rolling;
mod shutdown;
mod start_and_stop;
mod strays;
mod timers;
mod tls;
mod traces;
mod traces_of_databases;
mod traffic;
mod transitions;
mod watching;
mod webhook;
mod webhook_strangers;
