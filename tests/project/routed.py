"""The project's app with queues of every kind of routing."""

from kombu import Exchange, Queue
from kombu.common import Broadcast

from tests.project.celery import app

news = Exchange("news", type="topic")
app.conf.task_queues = [
    Queue("celery"),
    Queue("sport", news, routing_key="*.sport"),
    Queue("europe", news, routing_key="europe.#"),
    Broadcast("everyone"),
]
