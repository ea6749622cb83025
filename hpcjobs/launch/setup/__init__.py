"""`hpcjobs setup`: what a site has, found out once."""
