"""Run the command line: `python -m ods_pipeline.cli`; nothing else belongs here."""

from ods_pipeline.cli.main import main

main()
