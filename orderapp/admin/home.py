"""Page: what is going on, and what waits for somebody."""

from flask_admin import AdminIndexView, expose

from orderapp.admin import belongings, rights
from orderapp.database import reading


class HomeView(AdminIndexView):
    """The first page."""

    @expose("/")
    def index(self) -> str:
        """Show what waits."""
        with reading() as session:
            waiting = belongings.waiting(session)
        return str(self.render("panel/home.html", waiting=waiting, most=belongings.MOST_COUNTED))

    def is_accessible(self) -> bool:
        """Tell whether the menu offers this page."""
        return rights.may("admin.index")
