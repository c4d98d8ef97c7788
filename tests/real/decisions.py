"""Runs the queries on the decision log that the gateway's README shows: decisions.py FOLDER README. Prints their rows, one
JSON array a query."""

import json
import os
import re
import sys

import duckdb

folder, readme = sys.argv[1:]
queries = re.findall(r"```sql\n(.*?)```", open(readme, encoding="utf-8").read(), re.S)
assert queries, "the README has no query"
# Their paths are relative, as an operator writes them.
os.chdir(folder)
for query in queries:
    result = duckdb.sql(query)
    rows = [dict(zip(result.columns, row)) for row in result.fetchall()]
    print(json.dumps(rows, default=str))
