"""Django settings of the tests themselves; `tests.project.settings` are those of the workers."""

SECRET_KEY = "tests"
INSTALLED_APPS = ["cq_compat"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

# A test that needs others sets them with the fixture `settings`; Channels notices the change.
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
# These tests are of the transport alone; those of the rows take the fixture `ledger`.
CQ = {"DURABLE": False}
