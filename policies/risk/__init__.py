"""The assessor: what an action could do, judged from its exact bytes.

LOW is proved and everything else is escalated: each kind starts at HIGH and is lowered only by a positive match. A parse error, an unknown
node, command, flag, function or host, an exception, a time-out or over-size input stays at least HIGH. Deny-lists only raise to CRITICAL
and name the reason.

    surroundings.py  where an action would run: workspace, home, how paths resolve, the tables
    assess.py        kind and payload in, Risk out; the budget; never raises
    shell*.py  sql.py  http.py  files.py  python.py   one kind each
    paths.py         one evaluator of paths for every kind
    sequence.py      what several steps do together
    tables/          the accepted commands, functions, hosts and paths, as data with a version
"""
