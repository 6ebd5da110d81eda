"""
Append events and say so: `write.py JOURNAL WRITER BATCHES SEED`.

Singles, batches, and now and then a batch large enough to be killed in the middle of its write.
Each event names its batch and how large that is; after `append_many` has returned, and only then,
the number and hash of each event go to standard output.
"""

import os
import random
import sys
from itertools import count

from engines.journal import Journal

path, writer, batches, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
chance = random.Random(seed)
journal = Journal(path)
for number in range(batches) if batches else count():
    size = chance.choice((1, 1, 1, 2, 3, 5))
    pad = "x" * chance.choice((0, 10, 100, 1000, 5000, 200_000))
    draft = {"writer": writer, "batch": f"{writer}-{number}", "of": size, "pad": pad}
    events = journal.append_many([("noted", {**draft, "i": i}) for i in range(size)])
    os.write(1, b"".join(f"{e['seq']} {e['event_hash']}\n".encode() for e in events))
