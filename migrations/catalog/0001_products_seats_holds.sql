-- Why: the catalog's whole ground: what is sold by count, what is sold one by one, and who has taken which of it.
-- The rules that keep anything from being sold twice stand here as constraints, whatever the code does.

-- fillfactor: the counters of a product change with every batch of holds; room on the page keeps those updates
-- heap-only (no index entry is written).
create table products (
    product_id   uuid primary key,
    sku          text not null check (char_length(sku) between 1 and 64),
    display_name text not null check (char_length(display_name) between 1 and 200),
    description  text not null check (char_length(description) <= 1000),
    currency     text not null check (currency ~ '^[A-Z]{3}$'),
    price_minor  bigint not null check (price_minor between 0 and 1000000000000),
    on_hand      bigint not null check (on_hand between 0 and 1000000000000),
    held         bigint not null default 0 check (held >= 0),
    sold         bigint not null default 0 check (sold >= 0),
    hold_ttl_ms  bigint not null check (hold_ttl_ms between 100 and 86400000),
    revision     bigint not null default 1,
    -- what CreateProduct was asked for, so that a repeat is told from another product under the same id
    request_hash bytea not null,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    deleted_at   timestamptz,
    constraint products_never_oversold check (held + sold <= on_hand),
    constraint products_no_open_holds_when_deleted check (deleted_at is null or held = 0)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create unique index products_sku_key on products (sku) where deleted_at is null;

create table stock_adjustments (
    adjustment_id uuid primary key,
    product_id    uuid not null references products,
    delta         bigint not null check (delta <> 0),
    reason        text not null check (char_length(reason) <= 200),
    created_at    timestamptz not null default now()
);

create table seat_maps (
    seat_map_id  uuid primary key,
    display_name text not null check (char_length(display_name) between 1 and 200),
    currency     text not null check (currency ~ '^[A-Z]{3}$'),
    hold_ttl_ms  bigint not null check (hold_ttl_ms between 100 and 86400000),
    revision     bigint not null default 1,
    request_hash bytea not null,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    deleted_at   timestamptz
);

-- A seat names the one hold that has it: so it can never be in two. Deleting a map blocks its free seats first.
create table seats (
    seat_map_id uuid not null references seat_maps,
    label       text not null check (char_length(label) between 1 and 16),
    position    int not null check (position >= 0),
    section     text not null check (char_length(section) <= 64),
    row_name    text not null check (char_length(row_name) <= 16),
    number      int not null check (number between 0 and 100000),
    price_minor bigint not null check (price_minor between 0 and 1000000000000),
    state       text not null default 'FREE' check (state in ('FREE', 'HELD', 'SOLD', 'BLOCKED')),
    booking_id  uuid,
    attempt     int,
    primary key (seat_map_id, label),
    constraint seats_position_key unique (seat_map_id, position),
    constraint seats_taken_by_one_hold check (
        (state in ('HELD', 'SOLD')) = (booking_id is not null) and (booking_id is null) = (attempt is null)
    )
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- A hold's lines never change and are read and written with it, so they stand in its row:
-- [{"product_id", "quantity"} | {"seat_map_id", "label"}, "price_minor"].
-- review_at: when the sweep should ask for its verdict; null once it is settled. It decides nothing.
create table holds (
    booking_id  uuid not null,
    attempt     int not null check (attempt >= 1),
    state       text not null check (state in ('ACTIVE', 'COMMITTED', 'RELEASED')),
    lines       jsonb not null check (jsonb_array_length(lines) between 1 and 100),
    currency    text not null check (currency ~ '^[A-Z]{3}$'),
    hold_ttl_ms bigint not null check (hold_ttl_ms between 1 and 86400000),
    review_at   timestamptz,
    created_at  timestamptz not null default now(),
    settled_at  timestamptz,
    primary key (booking_id, attempt),
    constraint holds_reviewed_while_active check ((state = 'ACTIVE') = (review_at is not null))
) with (autovacuum_vacuum_scale_factor = 0.05);

create index holds_review_at_idx on holds (review_at) where review_at is not null;
