"""A pytest plugin that sets Django up and makes the tables, as a project's start and deploy do."""

import django
from django.core.management import call_command

django.setup()
call_command("migrate", verbosity=0)
