-- How many tokens a call reads that goes on from a stored reply: the input and output of the call that made it. NULL:
-- unknown, as of all that were remembered before this step. See kvot/core/stored_replies.py.

ALTER TABLE stored_reply ADD COLUMN tokens INTEGER;
