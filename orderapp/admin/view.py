"""What all pages of rows have in common: reading one page of a list, calling acts, showing their refusals."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from flask import flash, request
from flask_admin.model import BaseModelView
from sqlalchemy import Row

from orderapp.accounts.guard import visitor
from orderapp.admin import filters, formats, rights
from orderapp.admin.filters import Filter
from orderapp.admin.forms import ActionForm
from orderapp.admin.queries import PAGE, Listing, Page, Window, page_of, pattern
from orderapp.database import reading
from orderapp.errors import InvalidInputError, OrderAppError

# Rows of one action: as many as a page can offer.
MOST_ROWS = PAGE


class PanelView(BaseModelView):
    """Rows of one kind. Not Flask-Admin's view of SQLAlchemy models: that one commits by itself, this one cannot.

    Nothing is deleted, exported or edited in place here: those addresses do not exist, and no others that no page uses.
    """

    delete_view = export = ajax_lookup = ajax_update = None
    create_view = edit_view = details_view = action_view = None  # the views that have them say so
    can_delete = False
    column_display_actions = False
    can_set_page_size = False
    page_size = PAGE
    list_template = "panel/list.html"
    create_template = edit_template = "panel/form.html"

    listing: ClassVar[Listing]
    panel_filters: ClassVar[tuple[Filter, ...]] = ()
    empty = "There is nothing here yet."
    fields_of: ClassVar[dict[str, str]] = {}  # the form's field for an act's pointer, where their names differ
    takes_reason = True  # whether the acts behind the actions write a reason down

    # Flask-Admin asks at its start which columns and forms there are.
    def scaffold_list_columns(self) -> list[str]:
        """Return the columns of the list."""
        return list(self.column_list)

    def scaffold_sortable_columns(self) -> dict[str, str]:
        """Return nothing: lists are in the order of their key, newest first."""
        return {}

    def scaffold_form(self) -> type[ActionForm]:
        """Return a form for views that have none."""
        return ActionForm

    def get_action_form(self) -> type[ActionForm]:
        """Return the form that carries an action and its reason."""
        return ActionForm

    @property
    def can_create(self) -> bool:
        """Tell whether the visitor may create a row."""
        return rights.may(f"{self.endpoint}.create_view")

    @property
    def can_edit(self) -> bool:
        """Tell whether the visitor may edit a row."""
        return rights.may(f"{self.endpoint}.edit_view")

    def is_accessible(self) -> bool:
        """Tell whether the menu offers this view; the gate has asked already."""
        return rights.may(f"{self.endpoint}.index_view")

    def is_action_allowed(self, _name: str) -> bool:
        """Tell whether the visitor may act here."""
        return rights.may(f"{self.endpoint}.action_view")

    def _run_view(self, view: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # Flask-Admin's own calls a view a second time when it raised a TypeError: an act would run twice.
        return view(self, *args, **kwargs)

    def _get_list_url(self, _view_args: Any) -> str:
        # Flask-Admin's own puts every parameter of the address into url_for, which fails at one named "endpoint".
        return self.page_url()

    def get_list(self, *_args: Any, **_kwargs: Any) -> tuple[None, Sequence[Row[Any]]]:
        """Return one page of rows and no count."""
        edges = (Filter("before", "Before", "number"), Filter("after", "After", "number"))
        wanted, faults = filters.read_all([*self.panel_filters, *edges])
        for fault in faults:
            flash(fault, "error")
        window = Window(wanted.pop("before", None), wanted.pop("after", None))
        page = Page([], None, None) if faults else self.read_page(wanted, window)
        self._template_args.update(
            panel_filters=self.panel_filters, older=page.older, newer=page.newer, searched=page.searched, cell=self.cell
        )
        return None, page.rows

    def read_page(self, wanted: dict[str, Any], window: Window) -> Page:
        """Read one page; a search is for a number, or for text that contains the words."""
        words = wanted.get("q")
        if words is not None:
            wanted |= {"q": pattern(words), "q_number": filters.number_in(words)}
        with reading() as session:
            return page_of(session, self.list_of(wanted), wanted, window)

    def list_of(self, _wanted: dict[str, Any]) -> Listing:
        """Return what to read for these filters."""
        return self.listing

    def page_url(self, **edge: int) -> str:
        """Return the address of another page of the same list."""
        kept = {each.name: each.raw for each in self.panel_filters if each.raw}
        return str(self.get_url(".index_view", **kept, **edge))

    def cell(self, row: Row[Any], column: str) -> Any:
        """Return what stands in one cell."""
        return formats.cell(getattr(row, column))

    def get_pk_value(self, model: Row[Any]) -> int:
        """Return the id of a row."""
        return int(model.id)

    def get_one(self, row_id: Any) -> Row[Any] | None:
        """Return the row of this id, or None."""
        try:
            return self.read_one(filters.number(row_id))
        except ValueError:
            return None

    def read_one(self, row_id: int) -> Row[Any] | None:
        """Return the row of this id, or None."""
        key = Listing(self.listing.columns, self.listing.source, self.listing.key, {"id": f"{self.listing.key} = :id"})
        with reading() as session:
            found = page_of(session, key, {"id": row_id}, Window())
        return found.rows[0] if found.rows else None

    def create_model(self, form: Any) -> Any:
        """Refuse: only views that call an act create."""
        raise NotImplementedError

    def update_model(self, form: Any, model: Any) -> bool:
        """Refuse: only views that call an act change."""
        raise NotImplementedError

    def delete_model(self, model: Any) -> bool:
        """Refuse: nothing is deleted in the panel."""
        raise NotImplementedError

    def actor(self) -> str:
        """Return how the audit log names the visitor."""
        who = visitor()
        return who.actor if who else "nobody"

    def attempt(self, form: Any, act: Callable[[], Any]) -> Any:
        """Return what the act returns; a refusal is shown, at its field where it names one, and returns None."""
        try:
            return act()
        except InvalidInputError as error:
            for pointer, detail in error.faults:
                name = self.fields_of.get(pointer, pointer.removeprefix("/"))
                if name in form:
                    form[name].errors = [*form[name].errors, detail]
                else:
                    flash(detail, "error")
        except OrderAppError as error:
            flash(str(error), "error")
        return None

    def act_on(self, ids: Sequence[str], done: str, act: Callable[[int, str | None], Any]) -> None:
        """Call the act for each chosen row, each in its own transaction, and tell what became of them."""
        reason = request.form.get("reason", "").strip() or None
        succeeded = []
        if not ids:
            flash("Choose at least one row.", "error")
        for raw in list(dict.fromkeys(ids))[:MOST_ROWS]:
            try:
                row_id = filters.number(raw)
                act(row_id, reason)
                succeeded.append(row_id)
            except ValueError:
                flash("That is not the number of a row.", "error")
            except OrderAppError as error:
                flash(f"{str(error)[:1].upper()}{str(error)[1:]}", "error")
        if succeeded:
            flash(f"{done}: {', '.join(map(str, succeeded))}.", "success")
