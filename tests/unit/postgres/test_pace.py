"""Readers that come too late again and again leave room for the others."""

from __future__ import annotations

from cq_transport.layers.postgres.pace import MOST_LOSSES, PAUSE, Pace

NOW = 100.0


def pauses(pace: Pace, holding: bool = False) -> list[float]:
    """Return the pauses after many notifications; each is drawn by lot."""
    found = []
    for _ in range(200):
        pace.woken(NOW, holding)
        found.append(pace.pause(NOW))
    return found


def lose(pace: Pace, times: int) -> None:
    for _ in range(times):
        pace.woken(NOW, holding=False)
        pace.answered(False)


def test_the_first_request_is_made_at_once() -> None:
    assert set(pauses(Pace())) == {0.0}


def test_who_comes_too_late_waits_longer_each_time() -> None:
    pace, longest = Pace(), []
    for _ in range(MOST_LOSSES):
        lose(pace, 1)
        longest.append(max(pauses(pace)))

    assert longest == sorted(longest)
    assert 0 < longest[0] <= PAUSE


def test_the_pause_has_a_limit() -> None:
    pace = Pace()
    lose(pace, 10 * MOST_LOSSES)

    assert PAUSE < max(pauses(pace)) <= PAUSE * MOST_LOSSES * 1.001


def test_success_ends_the_pause() -> None:
    pace = Pace()
    lose(pace, 3)
    pace.answered(True)

    assert set(pauses(pace)) == {0.0}


def test_an_empty_answer_without_a_notification_is_no_loss() -> None:
    pace = Pace()
    for _ in range(5):
        pace.answered(False)

    assert set(pauses(pace)) == {0.0}


def test_who_has_messages_in_hand_leaves_the_first_chance_to_rivals() -> None:
    pace = Pace()
    assert set(pauses(pace, holding=True)) == {0.0}, "there are no rivals yet"
    lose(pace, 1)
    pace.answered(True)

    assert max(pauses(pace, holding=True)) > PAUSE
