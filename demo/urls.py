"""The page, its buttons, the admin, and the few files they show."""

from django.conf import settings
from django.contrib import admin
from django.contrib.staticfiles.views import serve as serve_static
from django.urls import path
from django.views.generic import RedirectView
from django.views.static import serve

from demo.shop import views

urlpatterns = [
    path("", views.page, name="page"),
    path("orders/", views.place_order, name="order"),
    path("orders/rush/", views.rush, name="rush"),
    path("parcels/", views.flush_redis, name="flush"),
    path("pictures/", views.upload_picture, name="picture"),
    path("pictures/samples/", views.draw_samples, name="samples"),
    path("reports/", views.ask_report, name="report"),
    path("stock/", views.count_stock, name="stock"),
    path("tasks/stop/", views.stop_task, name="stop"),
    path("schedules/switch/", views.switch_schedule, name="switch"),
    path("favicon.ico", RedirectView.as_view(url="/static/icon.svg")),  # for the admin
    path("admin/", admin.site.urls),
    path("static/<path:path>", serve_static, {"insecure": True}),  # without DEBUG, too
    path(
        "media/thumbnails/<path:path>",
        serve,
        {"document_root": settings.MEDIA_ROOT / "thumbnails"},
    ),
]
