-- Which company made which of the replies that providers store: their ids, never the replies. See
-- kvot/core/stored_replies.py.

CREATE TABLE stored_reply(
  company_no INTEGER NOT NULL,
  provider   TEXT NOT NULL,
  reply_id   TEXT NOT NULL,
  at         INTEGER NOT NULL,              -- the company's clock when it was last remembered
  PRIMARY KEY(company_no, provider, reply_id)
) STRICT, WITHOUT ROWID;

-- The oldest are forgotten first. The columns of the key are in it as they are in every index.
CREATE INDEX stored_reply_by_age ON stored_reply(company_no, at);
