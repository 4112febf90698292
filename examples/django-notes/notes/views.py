from django import forms
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from . import storage


class NoteForm(forms.Form):
    title = forms.CharField(max_length=80)
    text = forms.CharField(max_length=1000, widget=forms.Textarea(attrs={"rows": 3}))


@require_http_methods(["GET", "HEAD", "POST"])
def notes(request):
    form = NoteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        storage.add(**form.cleaned_data)
        return redirect("notes")
    status = 400 if request.method == "POST" else 200
    return render(request, "notes.html", {"form": form, "notes": storage.all_notes()}, status=status)


@require_POST
def delete(request, note):
    storage.delete(note)
    return redirect("notes")
