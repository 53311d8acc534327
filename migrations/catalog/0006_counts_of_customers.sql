-- Why: what customers have, where that is limited (0004, 0005), is counted where it is taken, in the same statement, so that the limit
-- holds whoever else takes something at the same moment.
set local lock_timeout = '500ms';

-- What a hold counted, so that just that is given back, whatever the limits are by then: on whose account (null: nothing of it
-- counts), and whether as an open hold. Its lines say of themselves whether they count: "counts": true.
alter table holds
    add column customer_id text,
    add column counts_open boolean not null default false;

-- What customers have that counts: the units of ACTIVE and COMMITTED holds for a product, or the seats for a map, and the ACTIVE
-- holds for OPEN_HOLDS, whose item is nil. Always the sum of what holds have counted; no row: nothing. `allowed` is the limit by
-- which it was counted last: the row has it so that the statement that counts can be guarded by it.
create table customer_counts (
    customer_id text not null check (char_length(customer_id) between 1 and 128),
    counted     text not null check (counted in ('PRODUCT', 'SEAT_MAP', 'OPEN_HOLDS')),
    item_id     uuid not null,
    taken       bigint not null check (taken > 0),
    allowed     bigint not null check (allowed > 0),
    primary key (customer_id, counted, item_id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
