"""The shop's books in the admin, next to beat's schedules."""

from django.contrib import admin

from demo.shop.models import Order, Picture, Report


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    """Orders, and when their mails were sent."""

    list_display = ("id", "name", "email", "item", "placed_at", "mailed_at")
    list_filter = ("item",)
    search_fields = ("name", "email")


@admin.register(Picture)
class PictureAdmin(admin.ModelAdmin):
    """Pictures and their thumbnails."""

    list_display = ("title", "original", "thumbnail")


@admin.register(Report)
class ReportAdmin(admin.ModelAdmin):
    """Reports, which only tasks write."""

    list_display = ("id", "made_at")

    def has_add_permission(self, request: object) -> bool:
        return False
