-- Why: as 0004, for seat maps.
set local lock_timeout = '500ms';

alter table seat_maps add column max_units_per_customer bigint not null default 0;
