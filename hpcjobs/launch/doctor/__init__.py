"""`hpcjobs doctor`: what this machine has, and what is wrong with it; one file a topic, the folder is the registry."""
