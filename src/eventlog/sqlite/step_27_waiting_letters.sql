-- Finds the oldest dead letters without those that were redriven. They go by their number once they are as
-- old as they are kept, and a log may keep many of either.

CREATE INDEX dead_letters_waiting ON dead_letters (id) WHERE redriven = 0;
