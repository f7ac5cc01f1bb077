"""Writes the rows of a Parquet file again by pyarrow, with one thread, and says what a row cost."""
import os
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq

pa.set_cpu_count(1)
pa.set_io_thread_count(1)
table = pq.read_table(sys.argv[1], use_threads=False)
for level in (3, 3, 3, 1):
    begin = time.process_time()
    pq.write_table(table, sys.argv[2], compression="zstd", compression_level=level)
    took = time.process_time() - begin
    print(f"pyarrow {pa.__version__}, zstd-{level}: {table.num_rows / took / 1e6:.2f} million rows a second, "
          f"{os.path.getsize(sys.argv[2]) / table.num_rows:.2f} bytes a row")
