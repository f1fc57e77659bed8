"""What ``setup_aws.py`` makes on AWS: a plan of steps, and what walks it. Printing and applying walk the same list."""
