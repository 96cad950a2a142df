"""Build a shop database with 300,000 orders and no index on the customer. Usage: prepare.py FOLDER"""

from __future__ import annotations

import random
import sqlite3
import sys
from pathlib import Path

ORDERS = 300_000
CUSTOMERS = 20_000


def prepare(folder: Path) -> Path:
    """Write `shop.db` into the folder and return its path; the same rows every time."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "shop.db"
    path.unlink(missing_ok=True)
    chance = random.Random(7)
    with sqlite3.connect(path) as c:
        c.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, placed_on TEXT NOT NULL, total_cents INTEGER NOT NULL)")
        rows = (
            (number, chance.randrange(CUSTOMERS), f"2026-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}", chance.randrange(100, 100_000))
            for number in range(1, ORDERS + 1)
        )
        c.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    c.close()
    return path


if __name__ == "__main__":
    print(prepare(Path(sys.argv[1] if len(sys.argv) > 1 else "shop")))
