"""What may be said outside `apps`: the names and values of the roles' inputs, and secrets; and where it was said."""
