"""A pytest plugin that makes `channels://` known, as a program without `cq_compat` does it."""

import cq_transport

cq_transport.register()
