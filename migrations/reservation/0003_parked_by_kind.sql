-- Why: parked promises are looked at by kind, those that have rested longest first.

create index outbox_parked_kind_idx on outbox_parked (kind, parked_at);
