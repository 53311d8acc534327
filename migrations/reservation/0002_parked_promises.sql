-- Why: a promise that is refused on its own (a row that makes no sense, a hold that the catalog refuses) must neither stop
-- those behind it nor be lost. It waits here, where people see it, and goes back into the outbox every few minutes, or at
-- once with `reservation retry-parked`.

-- As in outbox, whose rows these were; failure: why it was refused, for people. Without checks: whatever was refused.
create table outbox_parked (
    outbox_id     bigint primary key,
    kind          text not null,
    subject       text not null,
    booking_ids   uuid[] not null,
    attempts      int[],
    customer_ids  text[],
    deadlines     timestamptz[],
    reference_ids uuid[],
    traceparent   text,
    created_at    timestamptz not null,
    failure       text not null,
    parked_at     timestamptz not null default clock_timestamp()
);
