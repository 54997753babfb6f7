-- When the first attempt for a subscription failed since which none has succeeded.
ALTER TABLE cursors ADD COLUMN failing_since INTEGER;
