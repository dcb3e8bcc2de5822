"""Pictures in and out: reading, writing, folders of photos, colour."""
