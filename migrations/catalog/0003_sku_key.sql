-- Why: a partial index on the products that are not deleted looks to the planner like a short way to any of them, as long as
-- nobody has analysed the table: statements that name a product by its id read the whole of it. The same rule as an index
-- on an expression tempts nobody: a deleted product's key is null, and nulls are not alike.
-- Nobody reads or writes products while it runs, which is a moment; and it gives up rather than make others wait behind it.

set local lock_timeout = '500ms';

drop index products_sku_key;
create unique index products_sku_key on products ((case when deleted_at is null then sku end));
