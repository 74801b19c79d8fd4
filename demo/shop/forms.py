"""What a visitor may send."""

from typing import Any

from django import forms

from demo.shop.models import Order, Picture
from demo.shop.pictures import FORMATS

MAX_BYTES = 10 * 1024 * 1024


class OrderForm(forms.ModelForm):
    """An order; `outages` lets the mail server fail that often before it works."""

    outages = forms.IntegerField(min_value=0, max_value=3, required=False)

    class Meta:
        model = Order
        fields = ("name", "email", "item")


class PictureForm(forms.ModelForm):
    """An uploaded picture, whose title is its file name."""

    class Meta:
        model = Picture
        fields = ("original",)

    def clean_original(self) -> Any:
        """Refuse big files and formats that browsers do not show."""
        upload = self.cleaned_data["original"]
        if upload.size > MAX_BYTES:
            raise forms.ValidationError("The picture is bigger than 10 MB.")
        if upload.image.format not in FORMATS:
            raise forms.ValidationError(f"Use one of {', '.join(FORMATS)}.")
        return upload

    def save(self, commit: bool = True) -> Picture:
        """Keep the picture under the name of the file."""
        self.instance.title = self.cleaned_data["original"].name[:80]
        picture: Picture = super().save(commit)
        return picture
