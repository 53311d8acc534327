-- Why: one customer may have so many units of a product, so many seats of a map, and so many open holds (0004 to 0006: one table each,
-- as a lock on two of them would stand in the way of those who take them in another order). Nobody reads or writes the table
-- while it runs, which is a moment; and it gives up rather than make others wait behind it.
set local lock_timeout = '500ms';

-- 0: no limit. (A rule on a table that programs of the last release write would be new to them: so the domain alone has it.)
alter table products add column max_units_per_customer bigint not null default 0;
