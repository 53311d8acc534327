-- Why: a booking is updated two or three times in its first minutes, and with room on its page for each new version its indexes are
-- left alone: heap-only updates are 87 % of all instead of 52 % (docs/performance.md). Pages that are there stay as they are. The lock
-- stands in the way of a vacuum only, and an automatic one steps aside within a second, unless it is there to prevent wraparound.
alter table bookings set (fillfactor = 50);
