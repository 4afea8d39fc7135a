"""Where the screener's lists come from: Finviz's pages and export, a list, a file, a venue's most traded symbols."""
