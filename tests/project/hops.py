"""The project's app with a task that goes from broker to broker."""

from celery import Task

from tests.project.celery import app


@app.task(bind=True)
def hop(self: Task, *brokers: str) -> int:
    """Retry over each of the brokers in its turn, and return how many attempts that took."""
    done = self.request.retries
    if done == len(brokers):
        return done + 1
    with self.app.connection_for_write(brokers[done]) as connection:
        raise self.retry(countdown=0, max_retries=None, connection=connection)
