"""Why a frame is matched with others, or why not."""
