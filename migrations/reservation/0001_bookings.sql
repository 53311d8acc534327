-- Why: bookings and what became of them; the outbox that makes every promise to other parts as durable as the booking.

-- customer_id is empty and lines are [] on a tombstone only: the mark of a booking whose hold ran out before the
-- booking was recorded. lines: [{"product_id", "quantity"} | {"seat_map_id", "label"}, "price_minor" once held].
-- attempt: the hold that the booking has, or (INITIATED) the one it would place next.
-- draft_expires_at stands beside expires_at so that the index of drafts is not touched by holds and payments.
create table bookings (
    booking_id        uuid primary key,
    customer_id       text not null check (char_length(customer_id) <= 128),
    state             text not null check (state in
        ('INITIATED', 'HELD', 'PAYMENT_PENDING', 'CONFIRMED', 'REFUNDED', 'CANCELLED', 'EXPIRED')),
    attempt           int not null check (attempt >= 1),
    lines             jsonb not null,
    currency          text check (currency ~ '^[A-Z]{3}$'),
    total_minor       bigint check (total_minor >= 0),
    -- what the caller asked for at creation (part of the content that a repeat must match); null: nothing
    asked_ttl_ms      bigint,
    held_at           timestamptz,
    hold_ttl_ms       bigint check (hold_ttl_ms between 1 and 86400000),
    expires_at        timestamptz,
    draft_expires_at  timestamptz,
    window_given      boolean not null default false,
    payment_id        uuid,
    refund_id         uuid,
    expired_at        timestamptz,
    history_length    int not null,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    constraint bookings_draft_has_its_limit check ((state = 'INITIATED') = (draft_expires_at is not null)),
    constraint bookings_hold_has_its_deadline check (
        state not in ('HELD', 'PAYMENT_PENDING', 'CONFIRMED', 'REFUNDED')
        or (expires_at is not null and held_at is not null and hold_ttl_ms is not null and total_minor is not null
            and currency is not null)
    ),
    constraint bookings_paid_before_deadline check ((state in ('CONFIRMED', 'REFUNDED')) = (payment_id is not null)),
    constraint bookings_refund_named check ((state = 'REFUNDED') = (refund_id is not null)),
    constraint bookings_expiry_timed check ((state = 'EXPIRED') = (expired_at is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

create index bookings_customer_idx on bookings (customer_id, booking_id);
create unique index bookings_refund_key on bookings (refund_id) where refund_id is not null;
create index bookings_drafts_idx on bookings (draft_expires_at) where draft_expires_at is not null;

-- One row per step, never changed. reference_id: the payment or refund of the step.
create table booking_history (
    booking_id   uuid not null,
    sequence     int not null check (sequence >= 1),
    from_state   text,
    to_state     text not null,
    happened_at  timestamptz not null,
    expires_at   timestamptz,
    reference_id uuid,
    primary key (booking_id, sequence),
    constraint history_confirmed_before_deadline check (to_state <> 'CONFIRMED' or happened_at < expires_at)
);

-- Every payment that was reported: ACCEPTED paid for the booking, FAILED did not take money, REFUND_DUE took money
-- that must go back (too late, cancelled, or paid before).
create table payments (
    payment_id uuid primary key,
    booking_id uuid not null,
    outcome    text not null check (outcome in ('ACCEPTED', 'FAILED', 'REFUND_DUE')),
    created_at timestamptz not null
);

create unique index payments_one_accepted_per_booking on payments (booking_id) where outcome = 'ACCEPTED';

-- Promises to others, made in the transaction that they follow from and deleted when kept.
--   timer:  to a RabbitMQ lane            (booking_ids, attempts, deadlines)
--   settle: to catalog.SettleHolds        (booking_ids, attempts; subject is COMMIT or RELEASE)
--   event:  to the topic exchange         (booking_ids, customer_ids, deadlines, reference_ids; subject is the routing key)
-- One row carries many bookings: element i of every array belongs to booking i.
create table outbox (
    outbox_id     bigint generated always as identity primary key,
    kind          text not null check (kind in ('timer', 'settle', 'event')),
    subject       text not null,
    booking_ids   uuid[] not null check (cardinality(booking_ids) >= 1),
    attempts      int[],
    customer_ids  text[],
    deadlines     timestamptz[],
    reference_ids uuid[],
    traceparent   text,
    created_at    timestamptz not null default now(),
    constraint outbox_arrays_match check (
        coalesce(cardinality(attempts), cardinality(booking_ids)) = cardinality(booking_ids)
        and coalesce(cardinality(customer_ids), cardinality(booking_ids)) = cardinality(booking_ids)
        and coalesce(cardinality(deadlines), cardinality(booking_ids)) = cardinality(booking_ids)
        and coalesce(cardinality(reference_ids), cardinality(booking_ids)) = cardinality(booking_ids)
    ),
    constraint outbox_kind_has_its_arrays check (
        (kind = 'event' or attempts is not null) and (kind <> 'timer' or deadlines is not null)
    )
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

create index outbox_kind_idx on outbox (kind, outbox_id);
