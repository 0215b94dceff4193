-- What the provider told of a call beside its tokens, as JSON: by which a bill can be checked afterwards. NULL where nobody
-- was told anything, as of recorded and imported events. See kvot/gateway/receipt.py.

ALTER TABLE event ADD COLUMN receipt TEXT;
