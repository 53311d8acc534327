-- Why: a batch of holds is decided on what was seen without locks and taken by one guarded statement. When somebody else was
-- quicker, that statement must leave no trace, and the batch be decided again: this is how it says so.

create function take_all(taken bigint, wanted bigint) returns void
    language plpgsql
as $$
begin
    if taken is distinct from wanted then
        raise exception 'another was quicker: % of % rows could be taken', taken, wanted
            using errcode = 'serialization_failure';
    end if;
end
$$;
