"""Late joining: candidates meet the shopper in the top layers alone."""
