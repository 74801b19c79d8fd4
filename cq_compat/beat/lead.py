"""Decides which beat runs the schedules."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from time import monotonic
from uuid import uuid4

from django.db.models import Q

from cq_compat.clock import Now
from cq_compat.models import Beat

#: Seconds for which a beat that is not heard of leads.
TERM = 6.0
#: Seconds between two renewals.
RENEWAL = TERM / 3
#: There is one schedule in a database, so there is one row.
ONLY = 1


class Lead:
    """The lead among the beats of one database: a lease, of which the database's clock is the
    judge.
    """

    def __init__(self) -> None:
        self._me = uuid4()
        self._renewed_at = 0.0
        self.is_held = False

    def keep(self) -> bool:
        """Keep the lead, or take it if nobody has it; tell whether it is held."""
        now = monotonic()
        if not self.is_held or now - self._renewed_at >= RENEWAL:
            self.is_held = self._take() or (self._introduce() and self._take())
            self._renewed_at = now
        return self.is_held

    def resign(self) -> None:
        """Let another beat lead at once."""
        if self.is_held:
            self.is_held = False
            Beat.objects.filter(pk=ONLY, leader=self._me).update(leads_until=None)

    def _take(self) -> bool:
        free = Q(leader=self._me) | Q(leads_until__isnull=True) | Q(leads_until__lt=Now())
        taken = Beat.objects.filter(free, pk=ONLY).update(
            leader=self._me,
            hostname=socket.gethostname(),
            pid=os.getpid(),
            leads_until=Now() + timedelta(seconds=TERM),
        )
        return bool(taken == 1)

    def _introduce(self) -> bool:
        """Make the row; tell whether there was none."""
        return bool(Beat.objects.get_or_create(pk=ONLY)[1])
