-- What workspace.purchase_attribute held when the spell of eligibility began: a purchase is any later value. The
-- window's end alone cannot tell, because a real-time window is decided many times before it ends.
ALTER TABLE audience.eligibility ADD COLUMN IF NOT EXISTS bought_before TIMESTAMP;
