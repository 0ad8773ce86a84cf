"""The report of a study: one offline page. `weightcast.report.page.build_report` makes it."""
