"""A forked child writes, whatever its parent was doing."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from cq_compat.database import OwnConnection, own_connection
from tests.servers.forks import fork, prove_end

WRITE = "DELETE FROM cq_chord WHERE group_id = 'none'"
#: Seconds that a transaction lasts if the fork waits for it.
LASTS = 0.5


def write() -> None:
    own_connection().execute(WRITE, [])


def test_a_child_is_forked_while_another_thread_writes(connection: OwnConnection) -> None:
    written, forked = Event(), Event()

    def write_for_a_while() -> None:
        with connection.transaction():
            connection.execute(WRITE, [])
            written.set()
            forked.wait(LASTS)

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write_for_a_while)
        assert written.wait(30)
        child = fork.Process(target=write)
        child.start()
        forked.set()
        writing.result()
        prove_end(child)

    write()
