-- Why: the history says who had each step made, and by which call.

-- Null on steps of earlier programs, and where nobody is asked who they are. actor_subject: the issuer's name for them;
-- method: the RPC, or the program's command; request_id: of the caller, or the trace that the call was part of.
alter table booking_history
    add column actor_subject text,
    add column actor_role    text,
    add column method        text,
    add column request_id    text;
