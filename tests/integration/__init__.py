"""Tests of the transport with real servers, without a running worker."""
