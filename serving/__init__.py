"""The cascade behind gRPC: wire, engine, stages."""

import os

# gRPC's core reads it when it is imported. At its own level, INFO, it writes to standard error,
# unescaped, what any peer sends in a GOAWAY frame: line breaks too, so log lines can be forged.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
