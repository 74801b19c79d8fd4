"""The page, its buttons, and the few files it shows."""

from django.conf import settings
from django.urls import path
from django.views.static import serve

from demo.places import ROOT
from demo.shop import views

urlpatterns = [
    path("", views.page, name="page"),
    path("orders/", views.place_order, name="order"),
    path("orders/rush/", views.rush, name="rush"),
    path("pictures/", views.upload_picture, name="picture"),
    path("pictures/samples/", views.draw_samples, name="samples"),
    path("reports/", views.ask_report, name="report"),
    path("stock/", views.count_stock, name="stock"),
    path("tasks/stop/", views.stop_task, name="stop"),
    path("schedules/switch/", views.switch_schedule, name="switch"),
    path("static/<path:path>", serve, {"document_root": ROOT / "demo" / "static"}),
    path(
        "media/thumbnails/<path:path>",
        serve,
        {"document_root": settings.MEDIA_ROOT / "thumbnails"},
    ),
]
