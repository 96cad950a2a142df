"""The ledger: the durable truth of who assented to what, what was dispatched, and what came of it.

    store.py       the database: durable settings, transactions; trouble.py its errors in our words
    tables.py      the schema and its migrations
    log.py         the append-only, hash-chained log
    runs.py  plans.py  requests.py  decisions.py  dispatches.py  artifacts.py    one noun each
    verify.py      recompute everything
    backup.py      copy, check, restore
    ledger.py      the whole, as nodes and the door use it
"""
